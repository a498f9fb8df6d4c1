"""What the analyzer does by itself: follows the collector, lists its posts anew when need be, forgets in time."""
