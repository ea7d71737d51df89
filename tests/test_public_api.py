"""The public API in one place: whoever changes it changes a table here, in plain view."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from typing import Any

import numpy as np
import pytest

import ntk_aug

# What `from ntk_aug.<sub-package> import ...` gives: its whole __all__, sorted.
PUBLIC = {
    "augment": """
        AUGMENTATIONS AugMixAugmentation AugMixDraw AugmentationEntry CandidateDraw ChainDraw
        DISPATCHES INTERPOLATIONS MAGNITUDES Magnitudes MixDraw OPERATIONS Operation PADDINGS
        POLICIES PUBLISHED_CANDIDATES Plan Policy PolicyAugmentation PolicyDraw SELECTIONS StageDraw
        Step WEAK WuAugmentation WuDraw apply_linear_map apply_operation apply_policy augment_batch
        augment_by_loss augmix_magnitudes build_augmentation center_crop color_jitter crop
        crop_and_resize crop_padded cutmix describe_augmentation describe_draw draw_crop_offset
        draw_cutmix draw_mixup draw_policy draw_resized_crop example_key flip_horizontal
        flip_vertical from_pixels gaussian_blur leaves_unit_range magnitude_of may_leave_unit_range
        mix_batch mixup mixup_truncated operation_parameters pad parse_table place_operation
        randaugment random_color_jitter random_crop random_crop_padded random_cutmix
        random_flip_horizontal random_flip_vertical random_gaussian_blur random_gaussian_noise
        random_mixup random_noise_in_ball random_noise_on_sphere random_operation random_part
        random_resized_crop random_rotate random_shift random_window random_zoom resize
        resize_short_side rotate select_candidates to_pixels use_dispatch weak_augmentation
        wu_policy
    """,
    "coreset": """
        ALGORITHMS ClassSelection DEFAULT_ALGORITHM DEFAULT_MEMORY_BYTES DEFAULT_RIDGE
        DEFAULT_SELECTOR Examples ExamplesProgram FacilityLocation GradientFactors PROXIES SELECTORS
        SPLITS Selection Selector SelectorEntry Subset budget_of class_budgets device_bytes
        error_estimate facility_location facility_location_on_device facility_location_per_class
        find_selector gradient_error herd k_center_greedy largest_scores last_layer_logit_gradients
        last_layer_weight_gradients match_gradients mean_one_weights network_examples
        random_gradient_errors random_subset select selection_budgets
    """,
    "data": """
        DATASETS Dataset DatasetEntry SPLITS corrupt_labels draw_examples load_dataset load_digits
        load_images_file load_tfds long_tailed normalize select_classes unit_range
    """,
    "jacobian": """
        FlippedMasks JacobianOperator JacobianRows LABELLED_ROWS LastLayer LayerGradients
        ROUTES ROWS RowFactors ShardedRows SlowRowsWarning check_mesh flipped_masks
        output_function projected_rows row_norms
    """,
    "models": """
        CifarResNet DEFAULT_LEARNING_RATE MLP MODELS ModelEntry ModelView Network StreamedProgram
        as_network as_view build_network check_examples_independent check_logits count_outputs
        linen_network linen_view load_weights logits_program network_takes nnx_network nnx_view
        num_params pure_network tanh_mlp_jacobian_lipschitz
    """,
    "ntk": """
        DEFAULT_IMPLEMENTATION DEFAULT_MEMORY_BYTES DYNAMICS_LOSSES InfiniteWidthKernels
        KernelAgreement KernelRegression KernelTriple LinearizedPredictions
        NEURAL_TANGENTS_IMPLEMENTATIONS NeuralTangentsEstimate WidthDistance
        compare_with_neural_tangents empirical_kernel estimate_neural_tangents factor_products
        gib_rounded_up images_per_tile infinite_width_kernels kernel_diagonal kernel_regression
        kernel_triples linearized_predictions linearized_view load_neural_tangents
        neural_tangents_kernel neural_tangents_triples parameter_kernels row_products stax_cnn
        stax_mlp width_convergence
    """,
    "spectrum": """
        AugmentationSummary AugmentedVersions BACKENDS BIN_QUANTITIES BinComparison DEFAULT_BINS
        EntropyRank Estimate Factors KernelMoments LabelAlignment MeanAndSpread RowsRounding
        SingularTriplets SmallestFactors SpectrumPair SpectrumStudy StudyCost StudySettings
        UNCERTAIN_SHARE angles_from_overlaps appended_kernel appended_spectrum bin_means
        boundary_gaps compare_bins equal_count_bins estimate_cost estimate_entropy_rank
        estimate_moments factors_of_kernel kernel_alignment label_alignment
        largest_singular_triplets null_bins null_tolerance pair_from_jacobians pair_from_kernels
        principal_angles random_subspace_angle rows_rounding smallest_of_kernel
        smallest_singular_triplets study_spectrum summarize_study tied_bins uncertain_values
        value_errors
    """,
    "theory": """
        Assignment Assumption AssumptionError AugmentedExamples Bound Constructed
        CoresetSpectra DEFAULT_INSTANCES Dynamics Expansion MeasuredGains MeasuredNetwork
        Moments NETWORK_STATEMENTS STATEMENTS STATUSES ShiftMoments Shifts Sides Statement
        StatementReport Tally TanhMLP WeightedLeastSquares arora_kernel assign
        check_statement chosen_statements claim_c_2 coreset_spectra corollary_b_5
        draw_shifts equation_18 equation_19 equation_44 fact_1 fact_2 fact_3 fact_4 fact_5
        fact_6 lemma_4_1 lemma_5_1 lemma_5_1_gradients lemma_b_3 lemma_b_4 main_term
        measure_network measure_perturbed measure_shifts network_dynamics network_sides
        random_instances second_order shift_moments theorem_5_2 theorem_b_1
        theorem_b_1_deterministic theorem_b_2 theorem_b_6
    """,
    "training": """
        BatchSizes Checkpoint EpochPlan EpochProgram
        EpochRecord EpochResult Evaluation EvaluationProgram Keys MethodConfig MetricSums PLACEMENTS
        PLAIN PRECISIONS PretrainedNetwork Rows RunFolder SCHEDULES SelectedSubset Sources
        TRAINED_PARTS TrainState TrainedNetwork TrainingConfig WEAK WEIGHTINGS batch_sizes
        build_optimizer check_augmentation checkpoint_epochs estimate_training_seconds evaluate
        initial_state learning_rate_schedule learning_rates load_trained_model network_fingerprint
        plan_epoch recorded_example restore_checkpoint run_configuration save_checkpoint
        steps_per_epoch summarize_history train train_named_model training_step zero_examples
    """,
}

# Modules beside the sub-packages; all that they define without an underscore is public.
MODULES = (
    *("aliases", "checks", "compiler", "errors", "imports", "inputs", "losses", "precision"),
    *("programs", "progress", "randomness", "records", "threads"),
)

# Arguments that have a default and may yet be given by position, each for a reason:
POSITIONAL_WITH_DEFAULT = {
    "compiler.compiler_fault": ["xla_flags"],
    "inputs.check_inputs": ["what"],
    # what the message calls the value, after the value
    "checks.check_images": ["what"],
    "checks.check_params": ["what"],
    # labels are data, like the images before them; only one kind of rows needs them
    "jacobian.JacobianOperator.__init__": ["labels"],
    "jacobian.JacobianRows.__call__": ["labels"],
    "jacobian.JacobianRows.blocks": ["labels"],
    "jacobian.ShardedRows.__call__": ["labels"],
    "jacobian.JacobianRows.reduced_blocks": ["labels"],
    "jacobian.JacobianRows.square_blocks": ["labels"],
    "jacobian.JacobianRows.factors": ["labels"],
    "jacobian.projected_rows": ["labels"],
    "jacobian.row_norms": ["labels"],
    "ntk.compare_with_neural_tangents": ["labels"],
    "spectrum.appended_spectrum": ["labels"],
    "spectrum.estimate_cost": ["labels"],
    "spectrum.rows_rounding": ["labels"],
    "ntk.estimate_neural_tangents": ["labels"],
    "ntk.kernel_triples": ["labels"],
    "ntk.kernel_diagonal": ["labels"],
    "ntk.neural_tangents_kernel": ["labels"],
    "ntk.parameter_kernels": ["labels"],
    # what says how, after the key and the examples
    "coreset.select": ["selector"],
    "coreset.selection_budgets": ["selector"],
    # two sets of images, as K(X, X') names them
    "ntk.empirical_kernel": ["others"],
    "ntk.infinite_width_kernels": ["others"],
    "ntk.neural_tangents_triples": ["labels"],
    # a single option, whose meaning the function's name gives
    "progress.progress_bars": ["prefix"],
    # the last of the numbers that are folded into a key, in their order
    "augment.example_key": ["draw"],
    # as the modules of Flax's own examples are called
    "models.CifarResNet.__call__": ["train"],
    # a second function beside the first
    "models.linen_network": ["jacobian_lipschitz"],
    # a single option, whose meaning the function's name gives
    "spectrum.angles_from_overlaps": ["floor"],
    "spectrum.equal_count_bins": ["num_bins"],
    # the settings of a run, after its data: plain training has none of the method
    "training.run_configuration": ["method"],
}

# Functions whose key is not the first argument: the function that they map over comes before it,
# as in `jax.vmap(f)(key, x)` or `map(f, x)`.
KEY_AFTER_A_FUNCTION = [
    "augment.augment_batch",
    "augment.augment_by_loss",
    "augment.mix_batch",
    "spectrum.AugmentedVersions.__init__",
]


def is_record(cls):
    """Whether a class's constructor is made from its fields (a Linen module is a dataclass too)."""
    return dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")


def public_objects():
    """From the name of each public function, class and method (as in `PUBLIC`) to itself."""
    objects = {}
    for part in (*PUBLIC, *MODULES):
        module = importlib.import_module(f"ntk_aug.{part}")
        for name in getattr(module, "__all__", None) or vars(module):
            value = getattr(module, name)
            is_own = getattr(value, "__module__", "").startswith(f"ntk_aug.{part}")
            if (
                not name.startswith("_")
                and is_own
                and (inspect.isroutine(value) or _is_class(value))
            ):
                objects[f"{part}.{name}"] = value
                if _is_class(value):
                    objects |= _public_methods(f"{part}.{name}", value)
    return objects


def _is_class(value):
    return inspect.isclass(value) and not hasattr(value, "__origin__")


def _public_methods(prefix, cls):
    methods = {}
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)  # of a class method or static method
        own = inspect.isfunction(function) or isinstance(value, property)
        if own and (not name.startswith("_") or name in {"__init__", "__call__"}):
            methods[f"{prefix}.{name}"] = value if isinstance(value, property) else function
    if is_record(cls):
        methods.pop(f"{prefix}.__init__", None)
    return methods


OBJECTS = public_objects()
FUNCTIONS = {name: value for name, value in OBJECTS.items() if inspect.isfunction(value)}


def arguments(function):
    """All arguments but self and cls."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.name not in ("self", "cls")]


def test_every_part_of_the_library_is_listed():
    found = {(module.name, module.ispkg) for module in pkgutil.iter_modules(ntk_aug.__path__)}
    assert found == {(name, True) for name in PUBLIC} | {(name, False) for name in MODULES}


@pytest.mark.parametrize("part", PUBLIC)
def test_exports_are_those_of_the_table(part):
    module = importlib.import_module(f"ntk_aug.{part}")
    assert sorted(module.__all__) == PUBLIC[part].split()
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("part", PUBLIC)
def test_a_sub_package_exports_all_that_it_imports(part):
    module = importlib.import_module(f"ntk_aug.{part}")
    names = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert names == set(module.__all__)


def test_what_is_inspected_is_not_empty():
    assert len(FUNCTIONS) > 60
    expected = ["augment.rotate", "jacobian.JacobianRows.__init__", "data.Dataset.take"]
    assert set(expected) < set(FUNCTIONS)
    assert {"errors.InputError", "data.Dataset.num_classes"} < set(OBJECTS)


def test_everything_public_has_a_docstring_of_its_own():
    for name, value in OBJECTS.items():
        first_line = (value.__doc__ or "").strip().split("\n")[0]
        assert first_line.endswith((".", ":")), f"{name}: {first_line!r}"
        # Records without a docstring get one that only repeats their fields.
        assert not first_line.startswith(f"{name.rpartition('.')[2]}("), name


def test_a_key_comes_first():
    names = {name: [argument.name for argument in arguments(f)] for name, f in FUNCTIONS.items()}
    assert not [name for name, own in names.items() if {"rng", "prng", "random_key"} & set(own)]
    assert [name for name, own in names.items() if "key" in own[1:]] == KEY_AFTER_A_FUNCTION
    assert all(names[name][1] == "key" for name in KEY_AFTER_A_FUNCTION)
    assert "augment.random_rotate" in [name for name, own in names.items() if own[:1] == ["key"]]


def test_an_integer_is_a_seed_wherever_a_key_is_taken():
    taken = {
        (name, argument.name): argument.annotation
        for name, function in FUNCTIONS.items()
        for argument in arguments(function)
        if argument.name == "key" or argument.name.endswith("_key")
    }
    assert taken.pop(("randomness.as_key", "key")) is Any
    assert len(taken) > 50
    seeds = {int, np.integer}
    assert [name for name, own in taken.items() if not seeds < set(typing.get_args(own))] == []


def test_options_are_keyword_only_but_for_the_agreed_list():
    positional = {
        name: [
            argument.name
            for argument in arguments(function)
            if argument.default is not argument.empty and argument.kind != argument.KEYWORD_ONLY
        ]
        for name, function in FUNCTIONS.items()
    }
    assert {name: names for name, names in positional.items() if names} == POSITIONAL_WITH_DEFAULT


def test_every_argument_and_result_has_a_type():
    # A Linen module's call says its shapes in words: its images may be traced in any form.
    for name in set(FUNCTIONS) - {"models.MLP.__call__", "models.CifarResNet.__call__"}:
        signature = inspect.signature(FUNCTIONS[name])
        for argument in arguments(FUNCTIONS[name]):
            assert argument.annotation is not argument.empty, f"{name}: {argument.name}"
        assert signature.return_annotation is not signature.empty or name.endswith("__init__"), name
