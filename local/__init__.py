"""The same stack on one machine: local AWS, load balancer, cache, tasks and an OpenAI stand-in."""
