"""Who draws which noun."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clipgen.starter.world import (
    animals,
    birds,
    bridges,
    creatures,
    food,
    home,
    indoors,
    outdoors,
    people,
    plants,
    scenes,
    street,
    things,
    toys,
    travel,
    wild,
)
from clipgen.starter.world.palette import Tone
from clipgen.starter.world.pen import Pen

Subject = Callable[[Pen, Tone, np.random.Generator], None]
Scene = Callable[[Pen, str, np.random.Generator], None]

SUBJECTS: dict[str, Subject] = {
    "cat": animals.cat,
    "dog": animals.dog,
    "bird": birds.bird,
    "fish": animals.fish,
    "butterfly": animals.butterfly,
    "rabbit": animals.rabbit,
    "giraffe": wild.giraffe,
    "snail": creatures.snail,
    "hedgehog": creatures.hedgehog,
    "elephant": wild.elephant,
    "owl": birds.owl,
    "penguin": birds.penguin,
    "turtle": creatures.turtle,
    "face": people.face,
    "robot": toys.robot,
    "snowman": toys.snowman,
    "tree": plants.tree,
    "flower": plants.flower,
    "cactus": food.cactus,
    "mushroom": things.mushroom,
    "apple": things.apple,
    "avocado": food.avocado,
    "strawberry": food.strawberry,
    "banana": food.banana,
    "pear": food.pear,
    "cake": food.cake,
    "house": things.house,
    "castle": street.castle,
    "lighthouse": street.lighthouse,
    "windmill": street.windmill,
    "storefront": street.storefront,
    "road sign": street.road_sign,
    "car": things.car,
    "boat": things.boat,
    "bicycle": travel.bicycle,
    "train": travel.train,
    "plane": travel.plane,
    "rocket": travel.rocket,
    "balloon": things.balloon,
    "armchair": home.armchair,
    "lamp": home.lamp,
    "clock": home.clock,
    "phone": home.phone,
    "teapot": things.teapot,
    "cup": home.cup,
    "guitar": home.guitar,
    "harp": home.harp,
    "key": home.key,
    "umbrella": things.umbrella,
    "hat": toys.hat,
    "scarf": toys.scarf,
    "crown": toys.crown,
    "cube": toys.cube,
    "ball": toys.ball,
    "star": things.star,
    "heart": things.heart,
}
SCENES: dict[str, Scene] = {
    "city": scenes.city,
    "mountains": scenes.mountains,
    "sea": scenes.sea,
    "forest": scenes.forest,
    "desert": scenes.desert,
    "volcano": scenes.volcano,
    "waterfall": outdoors.waterfall,
    "island": outdoors.island,
    "road": outdoors.road,
    "garden": outdoors.garden,
    "bridge": bridges.bridge,
    "room": indoors.room,
}
