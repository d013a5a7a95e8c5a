// Package sched runs work as child processes: the stages of a pipeline ([Pipeline]) and a persistent queue of jobs
// ([Queue], executed by one [Scheduler] per machine).
//
// The queue is a directory. A job is one small JSON file, written atomically and moved by rename:
//
//	inbox/ID.json    submitted; any process may write here, with or without a scheduler
//	pending/ID.json  accepted, waiting for its turn, for memory, or for a back-off to pass
//	running/ID.json  an attempt has a child process, or had one when the scheduler died
//	done/ID.json     ended, with its result
//	cancel/ID        somebody asked for its end
//	logs/ID.N.log    output of attempt N
//	LOCK             held by the scheduler
//
// The directory a file lies in is the job's state, so no crash can lose or double a job: a rename is there or not. A
// scheduler that starts finds the children of its predecessor by process id and start time, or by a marker in their
// environment if the predecessor died before it could note them, and goes on waiting for them.
//
// Order: effective priority, then time of submission. Waiting raises the effective priority by one point per hour, up to
// 100, so that a job of priority p is overtaken by later ones for at most 100 - p hours of waiting. The first job that
// finds no room keeps its device for itself. A job that fits nowhere may preempt jobs whose priority, own and effective,
// is lower: they are told to stop, save, exit with 75 and wait again.
//
// Memory is a ledger: a job is placed by the bytes its plan needs, asked of the caller, never guessed; what runs on a
// device never adds up to more than the device has.
//
// Deliberately absent: knowledge of verbs, recipes and run directories (the caller supplies the command line, the plan, the
// progress mark and the outcome), more than one machine, and time slicing. If the queue's directory cannot be written
// the scheduler stops with the error; its children go on and are found again.
package sched
