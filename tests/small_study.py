"""Files of studies of 8 and of 4 short runs."""

from medzoo.study.spec import read_study

STUDY = """
question = "Does a small MLP care for its optimizer?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1]
data = "synthetic"
baseline = { optimizer = "sgd" }
[axes]
optimizer = ["sgd", "adam"]
[fixed]
model = "mlp"
width = 8
epochs = 2
"""

RATES = """
question = "Which learning rate?"
tasks = ["{task}"]
seeds = [0, 1]
data = "synthetic"
{text}
[axes]
learning_rate = [0.0001, 0.01]
[fixed]
model = "{model}"
width = 8
steps = 4
max_images = 64
loss = "cross_entropy"
"""


def make_rates(folder, text="", task="breastmnist", model="mlp"):
    """Makes a study of two learning rates, with a text of its own."""
    path = folder / "rates.toml"
    path.write_text(RATES.format(text=text, task=task, model=model))
    return read_study(path)
