"""What AWS calls: one folder, one Lambda function."""

import gc

# Imports make hundreds of thousands of objects and no garbage; looking for some after every 700 of them took a sixth
# of a function's cold start. What a call leaves behind is still collected, in larger lots.
gc.set_threshold(100_000, 10, 10)
