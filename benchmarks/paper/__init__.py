"""Section 6 of the PPO paper (Schulman et al. 2017), made again with surefoot: Table 1 and
Figure 3."""
