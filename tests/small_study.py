"""The file of a study of 8 short runs."""

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
