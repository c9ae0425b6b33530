"""The gateway: a service that speaks OpenAI's API and puts the production best practices to work."""
