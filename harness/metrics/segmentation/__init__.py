"""Dice, surface distances and volumes of predicted structures."""
