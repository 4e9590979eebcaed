"""Guided workflows: a model walks a person through a form in a conversation; our own rules decide what is taken."""
