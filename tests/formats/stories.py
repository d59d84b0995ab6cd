"""The made-up articles in the documents of the tests: seven languages, four scripts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Story:
    """An article, and a sentence that pages print around the article."""

    lang: str
    title: str
    paragraphs: tuple[str, ...]
    author: str
    outlet: str
    around: str  # must never be a part of the text

    @property
    def first(self) -> str:
        return self.paragraphs[0]

    @property
    def last(self) -> str:
        return self.paragraphs[-1]

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)


EN = Story(
    "en",
    "Forty hurt as ferry strikes pier at Port Ellory",
    (
        "A passenger ferry hit the northern pier at Port Ellory in thick fog on Wednesday morning, injuring 40 people and closing the harbour for most of the day.",
        "The Lady Marisol was carrying 212 passengers and 14 crew on the early crossing from Saint Brannoc when she struck the concrete pier at a quarter past six, according to the harbour master.",
        "Divers will inspect the hull on Thursday, and the company has promised to pay for every broken suitcase.",
    ),
    "Dana Whitlock",
    "Harbour Post",
    "Subscribe now and get three months of the Harbour Post for the price of one.",
)
EN2 = Story(
    "en",
    "Night train bakes its own bread",
    (
        "Passengers of the sleeper from Lauderthal to the lakes now wake to the smell of fresh bread, because the railway has fitted an oven into a former luggage van.",
        "The baker, Mirko Stanic, starts kneading when the train leaves at ten, and he bakes 240 rolls a night at a speed of 140 kilometres an hour between two mountain ranges.",
        "The hardest part is the tunnel at kilometre ninety, where the pressure makes the dough fall, as he says with a shrug.",
    ),
    "Ines Okafor",
    "Lake Courier",
    "Follow the Lake Courier on every network that you can think of and some more.",
)
DE = Story(
    "de",
    "Störche nisten auf dem Dach des Rathauses von Lindau am Berge",
    (
        "Auf dem Rathaus von Lindau am Berge brütet in diesem Frühjahr zum ersten Mal seit sechzig Jahren wieder ein Storchenpaar, und die Stadt verlegt deshalb ihre Trauungen.",
        "Der Lärm der Hochzeitsgesellschaften könne die Vögel vertreiben, sagte Bürgermeisterin Käthe Brömmel, die selbst jeden Morgen mit dem Fernglas auf den Marktplatz tritt.",
        "Die Jungen sollen im Juni flügge werden, dann dürfen auch die Glocken wieder läuten.",
    ),
    "Jörg Müller",
    "Bergstädter Anzeiger",
    "Jetzt den Newsletter des Bergstädter Anzeigers bestellen und nichts mehr verpassen.",
)
FR = Story(
    "fr",
    "Le phare de Kermadou s'éteint après un siècle de service",
    (
        "Le phare de Kermadou, qui guidait les pêcheurs depuis 1921, a été éteint mardi soir devant une foule émue, venue à pied malgré la pluie et le vent d'ouest.",
        "Son dernier gardien, Hervé Le Goff, âgé de 84 ans, a lui-même coupé le courant à la tombée de la nuit, après avoir lu à voix haute le journal de bord de l'année 1958.",
        "La commune espère transformer la tour en musée dès l'été prochain, à condition de trouver deux cent mille euros.",
    ),
    "Maëlle Rivière",
    "La Gazette du Large",
    "Abonnez-vous à la Gazette du Large pour lire tous nos articles sans publicité.",
)
ES = Story(
    "es",
    "Un pueblo de Teruel compra su propia montaña",
    (
        "Los 312 vecinos de Valdeperdices decidieron el martes comprar la montaña que da nombre a su pueblo, después de que el propietario anunciara su intención de abrir una cantera.",
        "La alcaldesa, Nuria Ibáñez, explicó que cada familia aportará lo que pueda y que el resto se pagará con la venta de miel, nueces y un calendario con fotografías antiguas.",
        "La firma ante notario está prevista para el viernes, y por la noche habrá baile en la plaza.",
    ),
    "Lucía Ñáñez",
    "Diario de la Sierra",
    "Regístrese gratis para recibir cada mañana el boletín del Diario de la Sierra.",
)
RU = Story(
    "ru",
    "В Заречье открыли самый длинный пешеходный мост области",
    (
        "В городе Заречье во вторник открыли самый длинный пешеходный мост области, который строили семь лет и трижды перепроектировали из-за весенних паводков.",
        "Первыми по мосту прошли школьники местной музыкальной школы, за ними последовали строители, журналисты и несколько сотен жителей обоих берегов реки с флагами и воздушными шарами.",
        "Движение велосипедистов по мосту разрешат только летом, сообщила городская администрация.",
    ),
    "Ольга Смирнова",
    "Зареченский вестник",
    "Подпишитесь на рассылку Зареченского вестника и читайте новости первыми.",
)
JA = Story(
    "ja",
    "北浜町の灯台、百年ぶりに修理へ",
    (
        "北浜町は四日、港の入り口に立つ灯台を百年ぶりに修理すると発表した。工事は来月に始まり、秋の終わりまで続く見通しだ。",
        "灯台は大正時代に建てられ、今も漁船の目印として使われているが、近年は壁のひび割れが目立つようになり、住民から心配する声が上がっていた。",
        "費用の一部は町の人々の寄付でまかなうという。",
    ),
    "佐藤花子",
    "北浜新聞",
    "会員登録をすると北浜新聞のすべての記事をお読みいただけます。",
)
AR = Story(
    "ar",
    "قرية جبلية تفتتح أول مكتبة متنقلة على ظهر بغل",
    (
        "افتتحت قرية عين الصنوبر يوم الثلاثاء أول مكتبة متنقلة في المنطقة، وهي صناديق من الكتب يحملها بغل بين البيوت المتفرقة على سفح الجبل.",
        "وقالت المعلمة ليلى حداد إن الأطفال كانوا ينتظرون هذا اليوم منذ أشهر، وإن القائمة تضم أكثر من ثلاثمئة كتاب تبرع بها سكان المدينة القريبة.",
        "وستعود المكتبة إلى كل بيت مرة في الأسبوع حتى نهاية الصيف.",
    ),
    "سامر نجار",
    "صحيفة الجبل",
    "اشتركوا في النشرة اليومية لصحيفة الجبل لتصلكم الأخبار كل صباح.",
)
ALL = (EN, EN2, DE, FR, ES, RU, JA, AR)
