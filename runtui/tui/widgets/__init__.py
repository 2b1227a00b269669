"""The widgets of the views, one file each."""
