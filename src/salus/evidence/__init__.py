"""How good, how alike, how useful, how private: findings with intervals, never verdicts."""
