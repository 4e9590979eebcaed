"""`make demo`: the main job in front of the user, on a local AWS, over real HTTP."""
