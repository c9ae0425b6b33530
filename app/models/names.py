"""When two names are of the same model, for whatever holds for a model: permissions, limits, prices."""


def folded(model: str) -> str:
    """The same for every spelling of a name: upper and lower case do not make another model, so that none
    goes around what holds for it."""
    return model.lower()
