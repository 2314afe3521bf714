//! From a transcript on disk to a priced task: reads, records, derives, projects.
