package filter

import (
	"maps"
	"slices"
	"strings"
)

// stopWords are the commonest function words of a language, in lower case as the rule wants them; at most 64. English
// has Gopher's eight; the others are of the same kinds: articles, prepositions, conjunctions, to be, to have.
var stopWords = map[string]string{
	"ca": "de la que i el en a les els per un una amb és del no",
	"cs": "a se v na je že s z o do to i by aby pro",
	"da": "og i at det er en til af på for med den som ikke har",
	"de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als",
	"en": "the be to of and that have with",
	"es": "de la que el en y a los se del las un por con una para es no",
	"et": "ja on ei et ta see oli ka ning kui või",
	"fi": "ja on ei että se oli hän mutta ovat kun joka myös tai",
	"fr": "de la le et les des en un du une que est pour dans qui par sur pas plus avec",
	"hr": "i u je se na da su za od s koji kao a ne",
	"hu": "a az és hogy nem is egy ez volt meg csak de van",
	"id": "yang dan di dengan untuk dari dalam ini itu pada tidak adalah akan ke",
	"it": "di e che la il un a per in una è non sono da del le con si i",
	"lt": "ir yra kad į su iš tai buvo ar kaip o dėl",
	"lv": "un ir ar ka no uz par kas tas bija arī vai",
	"nb": "og i er det som på en til av for at med har ikke den",
	"nl": "de van het een en in is dat op te zijn met voor niet die aan",
	"pl": "w i na z do się nie to jest że o jak po od co za",
	"pt": "de a o que e do da em um para com não uma os no se na por mais as dos é",
	"ro": "de și în la a cu pe care nu este un o din că să pentru",
	"ru": "и в не на что с по как это он к у из за от для но",
	"sk": "a sa v na je že s z o do to aby pre",
	"sl": "in je v na se da so za z pa ki ne tudi",
	"sv": "och i att det som en på är av för med den till inte har om",
	"tr": "ve bir bu da de için ile çok gibi olarak daha ne olan",
	"uk": "і в не на що з у та до як за це від для є про",
	"vi": "và của là có được trong cho không một những các với người này",
	"ar": "في من على إلى أن عن مع هذا التي هذه الذي لا ما كان",
	"el": "και το της η του να ο με για που από τη στο δεν είναι",
	"fa": "و در به از که این را با است برای آن یک",
	"he": "של את על לא הוא זה עם כי גם היא אל או",
	"hi": "के में की है और से को का कि पर ने यह",
	"bg": "на и в да се за от с по е не са като до",
}

// StopWordLanguages lists the languages that have stop words.
func StopWordLanguages() []string { return slices.Sorted(maps.Keys(stopWords)) }

// stopTables numbers the stop words of each language by their hashes.
func stopTables() map[string]map[uint64]int {
	tables := map[string]map[uint64]int{}
	for language, list := range stopWords {
		tables[language] = map[uint64]int{}
		for i, w := range strings.Fields(list) {
			tables[language][hash(w)] = i
		}
	}
	return tables
}
