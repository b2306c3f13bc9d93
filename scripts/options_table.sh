#!/bin/bash
# Writes the table of options into README.md, between its two marks, from the view tagrec_options of the demo's server.
cd "$(dirname "$0")/.." || exit
table=$(scripts/demo.sh psql -At -f scripts/options_table.sql) || exit
[ -n "$table" ] || exit
{
	sed '/^<!-- options -->$/q' README.md
	printf '%s\n' '| option | default | paper | range | meaning |' '|---|---|---|---|---|' "$table"
	sed -n '/^<!-- end of options -->$/,$p' README.md
} > README.md.new && mv README.md.new README.md
