"""A small ECS agent: runs the deployed service's tasks as processes of this machine."""
