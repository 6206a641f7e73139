"""Networks: settings for every process, modules that only training processes import."""
