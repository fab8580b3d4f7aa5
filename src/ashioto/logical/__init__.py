"""What a query means, apart from how it was written and what runs it."""
