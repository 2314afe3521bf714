//! Folders, environment, clock: the only reader of the process's surroundings.
