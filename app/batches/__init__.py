"""OpenAI's Batch API: files and batches of many projects in one account upstream, within budgets."""
