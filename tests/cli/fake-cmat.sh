#!/bin/sh
# Stands in for cmat where a test asks what the hook script hands over.
echo "$(cat) | cmat $*"
