"""Commands about whose pictures these are: exceptions, reconcile, correct, split, merge, reject, undo."""
