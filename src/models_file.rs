//! Finds, reads and edits models.json files, keeping their form.
