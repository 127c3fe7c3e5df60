"""The pages: NiceGUI for what lives (web socket, timers, charts), templates for what is read."""
