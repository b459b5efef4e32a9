"""From a source to a store of pairs, with reasons for what was left out."""
