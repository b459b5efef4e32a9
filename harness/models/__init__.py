"""Networks only: DCGAN, pix2pix and the downstream U-Net."""
