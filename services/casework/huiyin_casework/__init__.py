"""Gets the right office to answer every inquiry before its clock runs out."""
