#!/bin/bash
# Writes the options into doc/options.md, between its two marks, from the view tagrec_options of the demo's server.
cd "$(dirname "$0")/.." || exit
options=$(scripts/demo.sh psql -At -f scripts/options_table.sql) || exit
[ -n "$options" ] || exit
{
	sed '/^<!-- options -->$/q' doc/options.md
	printf '\n%s\n\n' "$options"
	sed -n '/^<!-- end of options -->$/,$p' doc/options.md
} > doc/options.md.new && mv doc/options.md.new doc/options.md
