"""Texts whose embeddings are kept as reference vectors. Change one, and the vectors have to be made again."""

TEXTS = (
    "The battery lasts two days and the screen is gorgeous.",
    "Worst flight of my life: four hours late, no food, and they lost my suitcase!!!",
    "Delivery was fast, but the box was crushed and a charger was missing.",
    "It's ok, I guess.",
    "ok",
    "?",
    " ",
    "😍😍😍",
    "@airline STILL on hold after 50 min... great service 🙄 #neveragain",
    "La habitación estaba limpísima y el personal fue encantador; volveremos sin dudarlo.",
    "Se me rompió a la semana y no me devuelven el dinero. Un robo.",
    "El café, frío; los camareros, bordes; el sitio, precioso.",
    "¿Alguien sabe si la batería se puede cambiar?",
    "Muy buen precio, aunque el envío tardó quince días 📦😤",
    "O aplicativo fecha sozinho desde a última atualização.",
    "Le serveur était charmant mais l'attente interminable.",
    "Der Akku hält keinen Tag durch, sonst ein schönes Gerät.",
    "Il prezzo è giusto, la qualità un po' meno.",
    "Would be great if you could add a dark mode, please.",
    "LOVE IT!!! best purchase ever, 10/10 would buy again :)",
    "Ｆｕｌｌ－ｗｉｄｔｈ letters, ﬁligree and ½ a litre.",
    "Two lines\nand a tab\there, plus a\u200bzero width space.",
    "My card was charged twice for order 20418. I called three times and nobody answers. Please help, this is urgent.",
    (
        "We stayed five nights with two children. The room was large and quiet, the beds firm, the view over the harbour "
        "worth every cent. Breakfast was another matter: cold eggs, a queue for the one coffee machine, and by nine the "
        "fruit was gone. The pool is small but clean, and the lifeguard knew every child by name. On the last day the "
        "card reader failed and reception asked us to pay in cash, which meant a taxi to the next bank; they apologised "
        "and paid for the ride. Would we come back? For the view and the staff, yes. For the breakfast, no. "
        "La señora de la limpieza, además, nos devolvió el reloj que olvidamos: gracias, Carmen. "
    )
    * 2,
)

# What a generator is to go on with, and the words of its vocabulary whose logits are compared.
BEGINNINGS = (
    "The sound of this speaker is great, but the battery",
    "- The soup came cold.\n- Cold soup, slow waiter.\n\nIn short: the",
    "Zum Preis von 12.50 €: ¿quién lo compra? 😀",
)
WORDS = list(range(0, 49_152, 192))
