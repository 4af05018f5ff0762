"""The export toolchain: recipes that turn published weights into packs. It imports affectrt, never the other way round."""
