"""What must hold for every stack, as plain predicates over its resources.

They know nothing of `infra/`: the tests run them on both stacks' graphs, and a policy pack can run them on
what the engine is about to deploy.
"""
