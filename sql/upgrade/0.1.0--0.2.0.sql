-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION tagrec UPDATE TO '0.2.0'" to load this file. \quit

-- What CREATE OR REPLACE in the sections after this file cannot change: the registry's tables, and functions whose arguments or
-- results are others now.
