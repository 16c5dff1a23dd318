#!/bin/bash
# Keeps a local network of 4 validators and 3 providers in the foreground until
# Ctrl-C. Arguments are those of `stoa-localnet up`.
. "$(dirname "$0")/prepare.sh"

prepare
build # the images are something to deploy
run_localnet up "$@"
