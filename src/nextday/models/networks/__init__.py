"""Networks: settings that any process reads, modules that only who trains imports."""
