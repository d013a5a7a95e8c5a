package optim

import (
	"fmt"
	"math"
)

// A Schedule is the learning rate as a function of the step.
type Schedule struct {
	Kind     string  // cosine, wsd (warmup, stable, decay), linear or constant
	Peak     float64 // learning rate
	Final    float64 // share of the peak that is left at the last step
	Warmup   int     // steps in which the rate rises linearly from 0
	Cooldown int     // wsd: steps in which it falls
	Steps    int     // length of the run
}

// Validate reports an impossible schedule.
func (s Schedule) Validate() error {
	switch s.Kind {
	case "cosine", "wsd", "linear", "constant":
	default:
		return fmt.Errorf("optim.schedule: %q is not one of cosine, wsd, linear, constant", s.Kind)
	}
	if s.Kind == "wsd" && s.Warmup+s.Cooldown > s.Steps {
		return fmt.Errorf("optim: warm-up (%d) and cool-down (%d) are longer than the run (%d steps)", s.Warmup, s.Cooldown, s.Steps)
	}
	return nil
}

// At is the learning rate of a step, counted from 0.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step+1) / float64(s.Warmup)
	}
	from := s.Warmup // where the fall begins
	if s.Kind == "wsd" {
		from = s.Steps - s.Cooldown
	}
	if s.Kind == "constant" || step < from {
		return s.Peak
	}
	// progress is 1 at the last step, so that the last update uses the final rate.
	progress := min(1, float64(step-from+1)/float64(max(1, s.Steps-from)))
	switch s.Kind {
	case "cosine":
		return s.Peak * (s.Final + (1-s.Final)*(1+math.Cos(math.Pi*progress))/2)
	default: // linear, and the last phase of wsd
		return s.Peak * (1 - (1-s.Final)*progress)
	}
}
