"""Sound servers: whose streams run, and whether sound breaks up."""
