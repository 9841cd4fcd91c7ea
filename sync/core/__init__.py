"""The pure heart of delivery: ``Engine.handle(event, now) -> effects``; no clock, disk, network, thread or chance."""
