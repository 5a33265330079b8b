# docker build -t medzoo .
# docker run --rm -v "$PWD/results:/medzoo/results" medzoo
# docker run --rm -v "$HOME/.medmnist:/root/.medmnist" medzoo make study NAME=optimizers TASKS=breastmnist
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /medzoo

# The locked packages are a layer of their own, which a change of the code keeps.
COPY Makefile requirements.lock ./
RUN make .venv/.locked
COPY . .
RUN make setup

CMD ["make", "study", "NAME=quickstart"]
