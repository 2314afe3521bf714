//! Intents that outlive a kill: one small file for each hook run.
