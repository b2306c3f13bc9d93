/*
 * Options of the towers that are chosen on held-out pairs (choice.h), unless they are given: how sharp the softmax is, and
 * how many steps an epoch has. Where tags say exactly who will like what, a low temperature uses it; where they say little,
 * it learns chance, and more and smaller steps do better.
 */
#include "models/choice.h"
#include "models/tower/tower.h"

/*
 * The first is right where tags tell the items of a user apart; the second where many items share theirs; the third where
 * items have few users, and little else than their own tags.
 */
static const struct
{
	double		temperature;
	int			batch;
} tried[] = {{0.1, 128}, {0.2, 32}, {0.05, 128}};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))

/* The trainings that choose are shorter. */
#define CHOOSING_EPOCHS 10

/* In few epochs, more steps and a higher temperature are ahead by more than they are in the end. */
#define MARGIN 0.12

bool
tower_is_open(const TowerOptions *o)
{
	return o->temperature == 0 || o->batch == 0;
}

void
tower_set_tried(TowerOptions *o, const TowerOptions *given, int i)
{
	*o = *given;
	if (given->temperature == 0)
		o->temperature = tried[i].temperature;
	if (given->batch == 0)
		o->batch = tried[i].batch;
}

void
tower_take(Tower *t, const TowerOptions *chosen)
{
	t->options.temperature = chosen->temperature;
	t->options.batch = chosen->batch;
	if (t->chosen)
		*t->chosen = (float) chosen->temperature;
}

TrStatus
tower_restored(TrModel *model, TrError *err)
{
	Tower	   *t = (Tower *) model;

	(void) err;
	if (t->chosen)
		t->options.temperature = *t->chosen;
	return TR_OK;
}

static TrStatus
choose(Tower *t, const TrPoll *poll, TrError *err)
{
	TowerOptions options[TRIED];
	const void *list[TRIED];
	TrChoice	choice = {.options = list, .n = TRIED, .margin = MARGIN, .seed = t->options.seed};
	int			epochs = (t->model.epochs + 1) / 2;
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		tower_set_tried(&options[i], t->model.options, i);
		list[i] = &options[i];
	}
	choice.epochs = epochs < CHOOSING_EPOCHS ? epochs : CHOOSING_EPOCHS;
	TR_TRY(tr_choose(&best, &t->model, &choice, poll, err));
	tower_take(t, &options[best]);
	return TR_OK;
}

TrStatus
tower_choose_and_train(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	if (epoch == 1 && tower_is_open(model->options))
		TR_TRY(choose((Tower *) model, poll, err));
	return tower_train_epoch(model, epoch, poll, stats, err);
}
