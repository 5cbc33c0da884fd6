"""What people look at: the workspace, server-rendered pages on this machine, without any script."""
