"""Everything that a run stands on: sound server, broker, Lightning server, processes, and the ear."""
