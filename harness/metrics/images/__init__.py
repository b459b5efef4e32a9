"""Measures of single images and masks: similarity, paired errors, shapes."""
