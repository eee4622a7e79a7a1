"""Questions that belong to no scenario in particular: what a matcher should not fire at, unless an org teaches it.

Written for this project: small talk aside, what people type into a chat that cannot help them with it.
"""

from __future__ import annotations

import hashlib

_TEXT = """
what is the capital of australia
how tall is the highest mountain on earth
who won the match last night
how do i bake a chocolate cake
what is the square root of 144
can dogs eat grapes
who painted the ceiling of the chapel in rome
how many people live in brazil
what year did the second world war end
how do i get red wine out of a carpet
tell me about black holes
what should i wear to a summer wedding
how long do turtles live
why is the sky blue
who is the president of france
how do i tie a bow tie
what does ubiquitous mean
recommend a good mystery novel
how do i lose weight without a diet
what is the best way to learn the guitar
how far away is the moon
explain photosynthesis in simple words
who invented the telephone
what are the rules of chess
when does winter begin
how do i patch a bicycle tube
write a poem about the sea
which company is worth the most
is tap water safe to drink in mexico
how do i remove a tick
what happens during an eclipse
how do i train a puppy to sit
who sang that song about the rain
how many bones does a person have
which country has the most volcanoes
how do vaccines work
what is the meaning of life
how do i start a small business
what is the tallest building in the world
how do i grow tomatoes on a balcony
what is a good gift for my mother
how do i get to the airport by train
translate good morning into japanese
how many calories are in a banana
what is the weather like in lisbon in may
play some jazz
set an alarm for six in the morning
turn off the lights in the kitchen
what time is it in tokyo
remind me to call my sister
flip a coin for me
tell me a joke about penguins
are you a robot
do you have feelings
what is your favourite colour
who made you
can you do my homework
what is the largest ocean
how do i write a cover letter
what questions are asked in a job interview
how much does a nurse earn
what is the fastest animal
how do i meditate
why do cats purr
how deep is the deepest lake
who wrote romeo and juliet
what is the plot of that new film
is there a sequel to this game
how do i beat the final boss
what are the best beaches in portugal
do i need a visa for canada
how long is the flight to new york
what is the exchange rate of the yen
how much is one mile in kilometres
convert 20 celsius to fahrenheit
what is 15 percent of 80
solve x squared minus 4 equals 0
what is the derivative of sine
how does a nuclear reactor work
what is quantum entanglement
how old is the universe
is there life on mars
who was the first person on the moon
what do jellyfish eat
how do bees make honey
why do leaves change colour
how are mountains formed
what causes earthquakes
how do i build a bird house
what paint do i use for a wooden fence
how do i unclog a sink
my car makes a strange noise when i brake
how often should i change the oil
what is the tyre pressure for a small car
how do i jump start a car
is it going to rain tomorrow
what is the news today
who is ahead in the polls
when is the next election
how do taxes on inheritance work
how do i make a will
what is a good book about history
how did the roman empire fall
who was cleopatra
when was the printing press invented
how do you play the ukulele
what chords are in that song
how do i sing higher notes
what is a healthy breakfast
how do i cook rice
how long do i boil an egg
what can i use instead of butter
is gluten bad for you
how do i sharpen a kitchen knife
what wine goes with fish
how do i brew better coffee
how many hours of sleep do i need
why does my back hurt
how do i treat a sunburn
what are the symptoms of the flu
is this mole dangerous
how do i stop hiccups
what is a normal heart rate
how do i run a marathon
what exercises are good for the knees
how do i do a handstand
who holds the record in the high jump
how many players are in a volleyball team
explain the offside rule
what is the best football club
when are the next olympic games
how do i fold a paper crane
how do i draw a horse
what camera should a beginner buy
how do i take pictures at night
which laptop is good for students
what does this error in my spreadsheet mean
how do i sort a list in python
what is a neural network
how do i speed up an old computer
how do i type an accent on a keyboard
who owns that social network
how do i get more followers
what should i post today
how do i ask someone out
what do i say at a funeral
how do i make new friends
my roommate is too loud
how do i tell my boss i quit
should i go back to university
how do i study for an exam
what is the best way to learn spanish
how do i spell necessary
what is the plural of octopus
give me a synonym for happy
what rhymes with orange
who is your creator
sing me a song
what is the story of the three pigs
how do i name my cat
what breed of dog is good with children
how do i keep a goldfish alive
why does my plant have yellow leaves
how do i get rid of ants
what attracts butterflies to a garden
how do i make a campfire
what do i pack for a hike
is it safe to swim in the river here
how do i pitch a tent
what star sign is march
what does my dream mean
is ghosts a real thing
how do magicians saw a person in half
what is a good costume for halloween
how do i plan a birthday party for a child
what are fun games for a long drive
how old do you have to be to vote
what is the longest word
how many countries are there
which language has the most speakers
what is the currency of vietnam
where do penguins live
how big is a football field
what is the boiling point of water
why is the sea salty
how do planes stay in the air
how does a fridge work
what is the difference between jam and jelly
how do i iron a shirt
how do i remove chewing gum from hair
what size is a queen bed in centimetres
how do i hang a picture straight
how do i choose a mattress
what colour goes with grey
how do i soundproof a room
is there a bakery near me
what is on television tonight
where can i watch the sunset
is the museum open on monday
how do i get a fishing licence
how do i adopt a child
where do i register a marriage
how do i report a pothole
what is the speed limit on a motorway
how do i parallel park
what does a yellow traffic light mean
how long does it take to learn to drive
"""

QUESTIONS = tuple(_TEXT.strip().splitlines())
DIGEST = hashlib.sha256(_TEXT.encode()).hexdigest()[:16]
"""Changes with the questions: vectors and thresholds computed from others are not used."""
