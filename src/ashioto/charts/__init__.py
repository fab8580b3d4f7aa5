"""Pictures of bars: PNG for documents and chats, self-contained HTML for looking around."""
