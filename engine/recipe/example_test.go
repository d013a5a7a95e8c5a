package recipe_test

import (
	"fmt"

	"forja/engine/recipe"
)

func ExampleParse() {
	_, err := recipe.Parse("tiny.yaml", []byte("version: 1\noptim:\n  learning_rat: 6e-4\n"))
	fmt.Println(err)
	// Output:
	// tiny.yaml:3:3: unknown key "learning_rat" in optim
	//       3 |   learning_rat: 6e-4
	//         |   ^^^^^^^^^^^^ did you mean "learning_rate"?
	//    optim accepts: betas, clip, cooldown, decay, eps, final, kind, learning_rate, momentum, schedule, spike_skip, warmup
}

func ExampleRecipe_Set() {
	r := recipe.New("tiny")
	fmt.Println(r.Set("optim.warmup", "3%"), r.Optim.Warmup.Of(1000))
	fmt.Println(r.Set("train.steps", "3.5"))
	// Output:
	// <nil> 30
	// --train.steps: wants a whole number or auto, found 3.5
}
