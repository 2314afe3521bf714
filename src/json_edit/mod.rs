//! Changes a few values of a JSON document and keeps every other byte.
