"""What has been learned."""
