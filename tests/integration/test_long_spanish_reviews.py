"""Long product reviews in Spanish, the kind no training set holds: written for this test, six for and six against."""

from workers.settings import load_settings
from workers.slm.build import ensure_pack

FOR = (
    "Compré esta cafetera hace tres meses porque la anterior se estropeó y, la verdad, no puedo estar más "
    "satisfecha. Calienta el agua en menos de un minuto, el café sale cremoso y se limpia con un trapo. Al "
    "principio me costó encontrar el punto de molienda, pero con un par de pruebas lo conseguí. Mi madre ha "
    "encargado otra igual. La recomiendo sin dudarlo.",
    "Llevaba tiempo buscando unas zapatillas para caminar que no me destrozaran los pies y por fin las he "
    "encontrado. Son ligeras, transpiran bien y la suela agarra incluso con lluvia. Pedí mi número de siempre y "
    "me quedan perfectas. Llegaron dos días antes de lo previsto y muy bien empaquetadas. Repetiré en otro color.",
    "Es el segundo que compro, este para regalar. La pantalla tiene un brillo estupendo, la batería me dura todo "
    "el fin de semana y leer por la noche ya no me cansa la vista. Quizá la funda podría venir incluida, pero por "
    "este precio no se puede pedir más. Mi padre, que no se lleva bien con la tecnología, lo maneja sin ayuda.",
    "Tenía mis dudas por las opiniones que había leído, y menos mal que no hice caso. La aspiradora tiene mucha "
    "fuerza, apenas hace ruido y recoge todo el pelo de los dos gatos. El depósito se vacía en un segundo. "
    "Después de medio año sigue como el primer día, así que cinco estrellas bien merecidas.",
    "La mochila es amplia, resistente y cómoda incluso cargada con el portátil y los libros. Los bolsillos están "
    "muy bien pensados y las cremalleras deslizan de maravilla. La he llevado a tres viajes y ha aguantado "
    "lluvia, arena y golpes sin un rasguño. Una compra redonda, estoy encantado con ella.",
    "Pedí el juego de sartenes con miedo porque era muy barato, y ha sido un acierto total. No se pega nada, se "
    "reparte bien el calor y el mango no quema. Las uso a diario desde marzo y siguen perfectas. Ojalá las "
    "hubiera descubierto antes; ya le he dicho a toda la familia que las compre.",
)
AGAINST = (
    "Compré este teléfono con mucha ilusión y a las dos semanas empezó a apagarse solo. Llamé al servicio técnico "
    "cuatro veces y cada vez me decían una cosa distinta. Al final me lo devolvieron igual, con la pantalla "
    "rayada además. He pedido el reembolso y nadie contesta. No volveré a comprar nada de esta marca en mi vida.",
    "Una pena, porque por fuera parece bonita, pero la tela es finísima y a la primera lavada encogió dos tallas. "
    "Las costuras venían deshilachadas y el color no tiene nada que ver con el de la foto. Para colmo tardó casi "
    "un mes en llegar. He tirado el dinero a la basura.",
    "Los auriculares se oyen bajísimo, el izquierdo dejó de funcionar a los cuatro días y el cable se enreda con "
    "solo mirarlo. Pensé que sería un defecto de mi unidad y pedí el cambio, pero el segundo par salió "
    "exactamente igual. No los recomiendo a nadie, ni regalados.",
    "El libro llegó con las tapas dobladas y varias páginas arrancadas. La traducción es pésima, llena de faltas "
    "de ortografía, y hay capítulos que ni siquiera están completos. Quise devolverlo y me cobraban el envío. Una "
    "tomadura de pelo, muy decepcionado.",
    "No compren este robot. Se queda atascado en cualquier alfombra, pierde la conexión cada dos por tres y la "
    "aplicación obliga a registrarse de nuevo todos los días. La batería, que según el anuncio duraba dos horas, "
    "no llega a los veinte minutos. Es lento, ruidoso y limpia fatal.",
    "Esperaba mucho más por lo que cuesta. La silla cojea, el respaldo cruje y después de una hora sentado me "
    "duele toda la espalda. El montaje fue un infierno porque faltaban tornillos y las instrucciones están solo "
    "en chino. Atención al cliente me dio largas durante semanas. Un desastre.",
)


def test_long_reviews_in_spanish_are_judged_by_what_they_say() -> None:
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    with pack.encoder(replicas=2) as encoder:
        said = pack.heads.predict(encoder.encode([*FOR, *AGAINST]).pooled)["sentiment"].argmax(axis=1).tolist()
    labels = [pack.heads.labels("sentiment")[i] for i in said]
    gold = ["positive"] * len(FOR) + ["negative"] * len(AGAINST)
    assert sum(a == b for a, b in zip(labels, gold, strict=True)) >= 11, labels
